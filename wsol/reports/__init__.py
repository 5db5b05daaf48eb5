"""What people look at: tables, strips, pages. Reads run folders only."""
