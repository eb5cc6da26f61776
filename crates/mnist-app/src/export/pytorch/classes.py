class PaddedConv2d(nn.Conv2d):
    """A convolution of inputs with more columns left and right, and more rows above and below."""

    def __init__(self, *sizes, around, **settings):
        super().__init__(*sizes, **settings)
        self.around = around

    def forward(self, x):
        return super().forward(F.pad(x, self.around))


class UntiedConv2d(nn.Conv2d):
    """A convolution with a bias for each of its outputs, (D, OH, OW)."""

    def __init__(self, *sizes, outputs, around=(0, 0, 0, 0), **settings):
        super().__init__(*sizes, bias=False, **settings)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.around = around

    def forward(self, x):
        x = F.pad(x, self.around)
        y = F.conv2d(x, self.weight, None, self.stride, 0, self.dilation, self.groups)
        return y + self.bias


class CutConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution with columns and rows added or, where negative, cut off."""

    def __init__(self, *sizes, around, outputs=None, **settings):
        super().__init__(*sizes, **settings)
        if outputs:
            self.bias = nn.Parameter(torch.zeros(outputs))
        self.around = around

    def forward(self, x):
        settings = self.stride, 0, 0, self.groups, self.dilation
        y = F.pad(F.conv_transpose2d(x, self.weight, None, *settings), self.around)
        if self.bias is None:
            return y
        # One number for each channel, or one for each output.
        return y + (self.bias[:, None, None] if self.bias.ndim == 1 else self.bias)


class PaddedMaxPool2d(nn.MaxPool2d):
    """The largest number of each window; the padding, other on each side, is never the largest."""

    def __init__(self, *sizes, around):
        super().__init__(*sizes)
        self.around = around

    def forward(self, x):
        return super().forward(F.pad(x, self.around, value=-torch.inf))


class PaddedAvgPool2d(nn.AvgPool2d):
    """The mean of each window without what lies beyond the padding that counts, as zeros."""

    def __init__(self, *sizes, counted, beyond):
        super().__init__(*sizes)
        self.counted, self.beyond = counted, beyond

    def forward(self, x):
        ones = F.pad(torch.ones_like(x[:1, :1]), self.counted, value=1)
        share = super().forward(F.pad(ones, self.beyond))
        return super().forward(F.pad(F.pad(x, self.counted), self.beyond)) / share


class GlobalAvgPool2d(nn.Module):
    """The mean of each channel: (C, H, W) to (C)."""

    def forward(self, x):
        return x.mean((2, 3))


class Softplus(nn.Module):
    """ln(1 + exp x), exactly: nn.Softplus is x from 20 on."""

    def forward(self, x):
        return torch.logaddexp(x, torch.zeros_like(x))


class Reshape(nn.Module):
    """The same numbers under another shape."""

    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        return x.reshape(-1, *self.shape)


class Residual(nn.Sequential):
    """Layers with a connection around them: x + f(x)."""

    def forward(self, x):
        return x + super().forward(x)
