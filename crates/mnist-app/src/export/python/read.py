def read(file):
    """The pictures in a file, as bytes (N, C, H, W)."""
    channels, height, width = PICTURE
    if file.endswith(".npy"):
        pictures = np.load(file)
    else:
        from PIL import Image

        # #: more
        picture = Image.open(file).convert("L" if channels == 1 else "RGB")
        pixels = np.asarray(picture.resize((width, height)))
        pictures = pixels.reshape(height, width, channels).transpose(2, 0, 1)
    if pictures.dtype != np.uint8:
        sys.exit(f"{file}: expected bytes (uint8) from 0 to 255, found {pictures.dtype}")
    return pictures.reshape(-1, *PICTURE)
