"""Forms of other libraries, read and written."""
