"""From a person's own files to a study: guess tables and columns, write `study.yml`, say what was guessed."""
