"""What became of every row: faults and rules take some, credit notes net others, and all of it adds up."""
