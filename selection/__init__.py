"""Which completions are selected, and what each of them is to get: filters, expressions, templates, splits, samples."""
