"""`wsol compare`: runs beside one another on the same test images, as a page, a table and JSON."""
