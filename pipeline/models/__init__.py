"""The networks: BLIP, the VQ-VAE, PixelSNAIL. One file per model, read in the order data flows."""
