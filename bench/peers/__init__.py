"""What people use today, as short as it is usually written."""
