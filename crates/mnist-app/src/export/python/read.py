def read(file):
    """The pictures in a file, as bytes (N, C, H, W)."""
    channels, height, width = PICTURE
    if file.endswith((".npy", ".npz")):
        pictures = np.load(file)
        if file.endswith(".npz"):
            pictures = pictures[pictures.files[0]]
    elif file.endswith((".bin", ".raw")):
        pictures = np.fromfile(file, np.uint8)
    else:
        from PIL import Image  # "pip install pillow"

        # The program's own `predict` does more: #: more
        picture = Image.open(file).convert("L" if channels == 1 else "RGB").resize((width, height))
        pictures = np.asarray(picture).reshape(height, width, channels).transpose(2, 0, 1)
    return pictures.astype(np.uint8).reshape(-1, *PICTURE)
