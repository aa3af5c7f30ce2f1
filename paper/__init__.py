"""The paper: text with named numbers, filled from committed records and set as PDF."""
