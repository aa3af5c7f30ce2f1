"""Networks, and what prepares their data; modules that need torch are imported when used."""
