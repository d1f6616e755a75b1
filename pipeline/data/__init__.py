"""What every stage after `download` reads: pictures, pairs, texts and their embeddings."""
