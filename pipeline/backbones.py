"""The trained networks that LPIPS can stand on, under torchvision's names for their files."""

# What follows the dash begins the SHA-256 of the file.
BACKBONES = {
    "alex": "alexnet-owt-7be5be79.pth",
    "vgg": "vgg16-397923af.pth",
    "squeeze": "squeezenet1_1-b8a52dc0.pth",
}
# The smallest pictures that each takes: on smaller ones a pooling layer finds nothing to pool.
SMALLEST = {"alex": 31, "vgg": 16, "squeeze": 17}  # pixels a side
