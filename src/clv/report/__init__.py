"""How a person reads it: notebooks become pages, pages become a report that is published as a whole."""
