def read(file):
    """The pictures in a file, as bytes (N, C, H, W)."""
    channels, height, width = PICTURE
    if file.endswith(".npy"):
        pictures = np.load(file)
        if channels == 1 and pictures.ndim in (2, 3):  # (H, W) or (N, H, W)
            pictures = pictures.reshape(-1, 1, *pictures.shape[-2:])
    else:
        from PIL import Image

        # #: more
        picture = Image.open(file)
        if picture.mode[0] in "IF":
            sys.exit(f"{file}: expected 8 bits a pixel, found more")
        picture = picture.convert("L" if channels == 1 else "RGB").resize((width, height))
        pictures = np.asarray(picture).reshape(height, width, channels).transpose(2, 0, 1)
    pictures = pictures.reshape(-1, *pictures.shape[-3:])
    if pictures.shape[1:] != PICTURE or pictures.dtype != np.uint8:
        sys.exit(f"{file}: expected bytes (uint8) of shape (N, {channels}, {height}, {width}), "
                 f"found {pictures.dtype} {pictures.shape}")
    return pictures
