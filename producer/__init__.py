"""The producer: reads a file, checks it whole, folds duplicates, cuts shards, stores and announces them."""
