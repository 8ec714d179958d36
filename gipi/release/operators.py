"""The operators that a stranger's program may use, which inputs decide a shape, and what settings they may have.

Described at https://onnx.ai/onnx/operators/. Left out is what holds a program of its own (If, Loop, Scan), gives shapes
that depend on numbers (NonZero, Unique, Compress), draws random numbers, or works on words, sequences or files; and
what no system of ours needs.

The limits are not for sense alone. Programs made at random ended the whole process with onnxruntime 1.31: a maximum or
a normalisation whose last input is left out, a negative `batch_dims`, a OneHot of no depth, dots in an Einsum, a
recurrent layer of no rows or, if nothing says how long they are, of no steps.
"""

KNOWN = """
Abs Acos Acosh Add And Asin Asinh Atan Atanh Cast CastLike Ceil Celu Clip Cos Cosh Div Elu Equal Erf Exp Floor Gelu
Greater GreaterOrEqual HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod
Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Tan Tanh
ThresholdedRelu Where Xor

ArgMax ArgMin CumSum Hardmax LogSoftmax ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin
ReduceProd ReduceSum ReduceSumSquare Softmax TopK

Attention AveragePool BatchNormalization Conv ConvTranspose Einsum Gemm GlobalAveragePool GlobalMaxPool
GroupNormalization GRU InstanceNormalization LayerNormalization LpNormalization LRN LSTM MatMul MaxPool
MeanVarianceNormalization RMSNormalization RNN

Concat Constant ConstantOfShape DepthToSpace Expand EyeLike Flatten Gather GatherElements GatherND OneHot Pad Range
Reshape Resize ScatterElements ScatterND Shape Size Slice SpaceToDepth Split Squeeze Tile Transpose Trilu Unsqueeze
"""  # on each number; along axes; products, convolutions, recurrence; shapes and places
OPERATORS = frozenset(KNOWN.split())
REDUCTIONS = frozenset(name for name in OPERATORS if name.startswith("Reduce"))

# which inputs of an operator decide the shape of what it gives; axes are among them
SIZED = {
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "OneHot": (1,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Unsqueeze": (1,),
} | dict.fromkeys(REDUCTIONS, (1,))
ONE_NUMBER = frozenset({"OneHot", "Range", "TopK"})  # what decides their shape is one number
# from which input on one may be left out, with others after it: the last is never left out by an empty name
OPTIONAL = {
    "Attention": 3,
    "Clip": 1,
    "Conv": 2,
    "ConvTranspose": 2,
    "GRU": 3,
    "Gemm": 2,
    "LSTM": 3,
    "LayerNormalization": 2,
    "Pad": 2,
    "RNN": 3,
    "Resize": 1,
    "Slice": 3,
    "Split": 1,
    "Squeeze": 1,
    "Trilu": 1,
} | dict.fromkeys(REDUCTIONS, 1)
LENGTHS = {"GRU": 4, "LSTM": 4, "RNN": 4}  # which input of a recurrent layer says how long its rows are

MOST_AXES = 8
MOST_OUTPUTS = 256
INT64 = (-(2**63), 2**63 - 1)
FLAGS = """
allowzero antialias ceil_mode count_include_pad detect_negative detect_positive exclude_outside exclusive fmod
input_forget is_causal keepdims largest layout linear_before_reset noop_with_empty_axes reverse saturate
select_last_index sorted storage_order transA transB upper
"""
# the least and greatest that a setting of this name may be; one that is not named here may not be a whole number
LIMITS = {
    "axes": (-MOST_AXES, MOST_AXES),
    "axis": (-MOST_AXES, MOST_AXES),
    "batch_dims": (0, MOST_AXES),
    "blocksize": (1, 64),
    "dilations": (1, 4096),
    "dtype": (1, 16),
    "end": (-MOST_AXES, MOST_AXES),
    "group": (1, 1 << 16),
    "hidden_size": (1, 1 << 16),
    "k": (-4096, 4096),
    "kernel_shape": (1, 4096),
    "kv_num_heads": (1, 4096),
    "num_groups": (1, 1 << 16),
    "num_outputs": (1, MOST_OUTPUTS),
    "output_padding": (0, 4096),
    "output_shape": (1, 1 << 16),
    "p": (1, 2),
    "pads": (0, 4096),
    "perm": (0, MOST_AXES - 1),
    "q_num_heads": (1, 4096),
    "qk_matmul_output_mode": (0, 3),
    "size": (1, 4096),
    "softmax_precision": (1, 16),
    "start": (-MOST_AXES, MOST_AXES),
    "stash_type": (1, 1),
    "strides": (1, 4096),
    "to": (1, 16),
    "training_mode": (0, 0),
    "value_int": INT64,
    "value_ints": INT64,
} | dict.fromkeys(FLAGS.split(), (0, 1))
EQUATION = r"[A-Za-z]*(,[A-Za-z]*)*->[A-Za-z]*"  # of Einsum, without dots
