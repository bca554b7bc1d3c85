"""What operations do to channels, by their names in torch, without underscores at the ends."""

# They only move values.
MOVES = frozenset(
    """
    getitem cat concat stack chunk split tensor_split unbind narrow select view view_as reshape flatten unflatten
    permute transpose movedim squeeze unsqueeze expand expand_as repeat repeat_interleave tile roll flip
    pixel_shuffle pixel_unshuffle channel_shuffle contiguous clone detach
    """.split()  # noqa: SIM905 - as prose they can be read
)
# They combine values of equal places.
ELEMENTWISE = frozenset(
    """
    add radd iadd sub rsub isub mul rmul imul div truediv rdiv rtruediv idiv itruediv neg abs square sqrt rsqrt pow
    exp log reciprocal relu relu6 leaky_relu prelu elu gelu silu mish hardswish hardsigmoid hardtanh softplus tanh
    sigmoid clamp clip minimum maximum lerp where to float double half bfloat16 type type_as dropout
    """.split()  # noqa: SIM905
)
# They treat each channel by itself, as long as they are about height and width.
SPATIAL = frozenset(
    """
    interpolate pad max_pool2d avg_pool2d adaptive_avg_pool2d adaptive_max_pool2d mean sum std var amax amin
    """.split()  # noqa: SIM905
)
# What they give does not depend on the values of the tensor that they belong to.
CONSTANTS = frozenset("new_tensor new_zeros new_ones new_full new_empty zeros_like ones_like full_like".split())  # noqa: SIM905
