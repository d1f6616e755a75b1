"""The networks: BLIP, the VQ-VAE, PixelSNAIL. One file a model, read in the order data flows."""
