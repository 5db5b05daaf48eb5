"""Reports for people: tables, image strips and pages. They only read run folders."""
