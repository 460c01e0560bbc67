"""What kind of account is it? Grades, labels, leads, bad and stalled ones, ABC-XYZ, concentration (rules A2 to A8)."""
