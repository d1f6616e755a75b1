"""What people start by name: thin, argv in, the library called, files out."""
