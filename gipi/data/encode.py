"""Rows as tensors, and pictures as a network sees them: data/features.py for PyTorch.

B rows, N numeric features, K category columns, C H W a picture, T tokens
"""

from functools import cache

import torch
from torch import Tensor

from gipi.data.dataset import Dataset
from gipi.data.features import picture_rows, table_rows, target_rows
from gipi.data.mapped import as_tensor
from gipi.data.schema import Schema
from gipi.data.text_rows import ENDED, text_rows
from gipi.data.tokenizers import Tokenizer, tokenizer_of


def encode(
    schema: Schema, data: Dataset, with_targets: bool = True, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, ...]:
    """Rows as tensors: `(x,)` or `(x, y)`.

    x is `(B, N + K)` float32 for tables (see Sizes), `(B, C, H, W)` uint8 or float32 for pictures, which `normalize`
    makes ready for a network batch by batch, and `(B, T)` int32 tokens of texts, -1 where a text has ended. y is `(B,)`
    int64 for a class, `(B, labels)` float32 for several labels, `(B, targets)` float32, centered and scaled, for
    numbers. `dtype` takes the place of float32.

    Raises:
        DataError: A column is missing, or a value cannot be what the schema says; names the column and the row.
    """
    kind = torch.empty(0, dtype=dtype).numpy().dtype
    if schema.is_text:
        x = text_rows(schema.inputs, data)
    else:
        x = picture_rows(schema.inputs[0], data) if schema.is_picture else table_rows(schema.inputs, data, kind)
    arrays = (x, target_rows(schema, data, kind)) if with_targets and schema.targets else (x,)
    return tuple(map(as_tensor, arrays))


def as_input(schema: Schema, x: Tensor, dtype: torch.dtype) -> Tensor:
    """A batch as a network sees it: numbers of this type, pictures centered and scaled; texts cut to their longest."""
    if not schema.is_text:
        return normalize(schema, x).to(dtype)
    longest = int((x != ENDED).sum(1).max()) if len(x) else 1
    return x[:, : max(1, longest)].long()


def normalize(schema: Schema, x: Tensor) -> Tensor:
    """A batch of pictures as a network sees it, `(B, C, H, W)` float, centered and scaled; tables are so already."""
    if not schema.is_picture:
        return x
    picture = schema.inputs[0]
    kind = x.dtype if x.is_floating_point() else torch.float32
    if picture.centers:
        return (x.to(kind) - _each(picture.centers, kind, x.device)) / _each(picture.scales, kind, x.device)
    return (x.to(kind) - picture.center) / picture.scale


def denormalize(schema: Schema, x: Tensor) -> Tensor:
    """Pictures `(B, C, H, W)` as a network makes them, with white as the schema has it: `normalize` undone."""
    picture = schema.inputs[0]
    if picture.centers:
        return x * _each(picture.scales, x.dtype, x.device) + _each(picture.centers, x.dtype, x.device)
    return x * picture.scale + picture.center


def tokenizer_in(schema: Schema) -> Tokenizer:
    """How this schema's texts become tokens."""
    return tokenizer_of(schema.inputs[0].tokenizer)


@cache
def _each(values: tuple[float, ...], kind: torch.dtype, device: torch.device) -> Tensor:
    """A number for each channel, `(C, 1, 1)`; kept, so that no step waits for a copy to a GPU."""
    return torch.tensor(values, dtype=kind, device=device).view(-1, 1, 1)
