"""The messages of caffe.proto that a trained network consists of, and their field numbers.

Source: BVLC/caffe, src/caffe/proto/caffe.proto. Each line is `Message: name number type, ...`. A
type is int, bool, float, double, string, an enumeration such as {MAX AVE} whose values count from
0, or a message; `*` is a repeated field. A `-` is a field that says nothing about what the network
computes, such as the initial weights; it is skipped.
"""

import re
from dataclasses import dataclass

TEXT = """
NetParameter: name 1 string, layers 2 V1LayerParameter*, input 3 string*, input_dim 4 int*,
    force_backward 5 -, state 6 -, debug_info 7 -, input_shape 8 BlobShape*,
    layer 100 LayerParameter*
BlobShape: dim 1 int*
BlobProto: num 1 int, channels 2 int, height 3 int, width 4 int, data 5 float*, diff 6 -,
    shape 7 BlobShape, double_data 8 double*, double_diff 9 -
NetStateRule: phase 1 {TRAIN TEST}, min_level 2 int, max_level 3 int, stage 4 string*,
    not_stage 5 string*
LayerParameter: name 1 string, type 2 string, bottom 3 string*, top 4 string*, loss_weight 5 float*,
    param 6 -, blobs 7 BlobProto*, include 8 NetStateRule*, exclude 9 NetStateRule*,
    phase 10 {TRAIN TEST}, propagate_down 11 -, transform_param 100 TransformationParameter,
    batch_norm_param 139 BatchNormParameter, bias_param 141 BiasParameter,
    concat_param 104 ConcatParameter, convolution_param 106 ConvolutionParameter,
    data_param 107 DataParameter, dropout_param 108 DropoutParameter,
    eltwise_param 110 EltwiseParameter, elu_param 140 ELUParameter,
    flatten_param 135 FlattenParameter, image_data_param 115 DataParameter,
    inner_product_param 117 InnerProductParameter, input_param 143 InputParameter,
    lrn_param 118 LRNParameter, memory_data_param 119 MemoryDataParameter,
    pooling_param 121 PoolingParameter, power_param 122 PowerParameter,
    prelu_param 131 PReLUParameter, relu_param 123 ReLUParameter,
    reshape_param 133 ReshapeParameter, scale_param 142 ScaleParameter,
    softmax_param 125 SoftmaxParameter, slice_param 126 SliceParameter, sigmoid_param 124 -,
    tanh_param 127 -, loss_param 101 -, accuracy_param 102 -
V1LayerParameter: layer 1 -, bottom 2 string*, top 3 string*, name 4 string, type 5 {V1_TYPES},
    blobs 6 BlobProto*, blobs_lr 7 -, weight_decay 8 -, include 32 NetStateRule*,
    exclude 33 NetStateRule*, loss_weight 35 float*, param 1001 -, blob_share_mode 1002 -,
    transform_param 36 TransformationParameter, concat_param 9 ConcatParameter,
    convolution_param 10 ConvolutionParameter, data_param 11 DataParameter,
    dropout_param 12 DropoutParameter, eltwise_param 24 EltwiseParameter,
    image_data_param 15 DataParameter, inner_product_param 17 InnerProductParameter,
    lrn_param 18 LRNParameter, memory_data_param 22 MemoryDataParameter,
    pooling_param 19 PoolingParameter, power_param 21 PowerParameter, relu_param 30 ReLUParameter,
    softmax_param 39 SoftmaxParameter, slice_param 31 SliceParameter, sigmoid_param 38 -,
    tanh_param 37 -, loss_param 42 -, accuracy_param 27 -
TransformationParameter: scale 1 float, mirror 2 -, crop_size 3 int, mean_file 4 string,
    mean_value 5 float*, force_color 6 -, force_gray 7 -
DataParameter: source 1 string, scale 2 float, mean_file 3 string, batch_size 4 -, crop_size 5 int,
    mirror 6 -, rand_skip 7 -, backend 8 -, new_height 9 -, prefetch 10 -, is_color 11 -
MemoryDataParameter: batch_size 1 int, channels 2 int, height 3 int, width 4 int
InputParameter: shape 1 BlobShape*
BatchNormParameter: use_global_stats 1 -, moving_average_fraction 2 float, eps 3 float
BiasParameter: axis 1 int, num_axes 2 int, filler 3 -
ConcatParameter: concat_dim 1 int, axis 2 int
ConvolutionParameter: num_output 1 int, bias_term 2 bool, pad 3 int*, kernel_size 4 int*,
    group 5 int, stride 6 int*, weight_filler 7 -, bias_filler 8 -, pad_h 9 int, pad_w 10 int,
    kernel_h 11 int, kernel_w 12 int, stride_h 13 int, stride_w 14 int, engine 15 -, axis 16 int,
    force_nd_im2col 17 -, dilation 18 int*
DropoutParameter: dropout_ratio 1 float
EltwiseParameter: operation 1 {PROD SUM MAX}, coeff 2 float*, stable_prod_grad 3 -
ELUParameter: alpha 1 float
FlattenParameter: axis 1 int, end_axis 2 int
InnerProductParameter: num_output 1 int, bias_term 2 bool, weight_filler 3 -, bias_filler 4 -,
    axis 5 int, transpose 6 bool
LRNParameter: local_size 1 int, alpha 2 float, beta 3 float,
    norm_region 4 {ACROSS_CHANNELS WITHIN_CHANNEL}, k 5 float, engine 6 -
PoolingParameter: pool 1 {MAX AVE STOCHASTIC}, kernel_size 2 int, stride 3 int, pad 4 int,
    kernel_h 5 int, kernel_w 6 int, stride_h 7 int, stride_w 8 int, pad_h 9 int, pad_w 10 int,
    engine 11 -, global_pooling 12 bool, round_mode 13 {CEIL FLOOR}
PowerParameter: power 1 float, scale 2 float, shift 3 float
PReLUParameter: filler 1 -, channel_shared 2 bool
ReLUParameter: negative_slope 1 float, engine 2 -
ReshapeParameter: shape 1 BlobShape, axis 2 int, num_axes 3 int
ScaleParameter: axis 1 int, num_axes 2 int, filler 3 -, bias_term 4 bool, bias_filler 5 -
SliceParameter: slice_dim 1 int, slice_point 2 int*, axis 3 int
SoftmaxParameter: engine 1 -, axis 2 int
"""

V1_TYPES = """NONE ACCURACY BNLL CONCAT CONVOLUTION DATA DROPOUT EUCLIDEAN_LOSS FLATTEN HDF5_DATA
    HDF5_OUTPUT IM2COL IMAGE_DATA INFOGAIN_LOSS INNER_PRODUCT LRN MULTINOMIAL_LOGISTIC_LOSS POOLING
    RELU SIGMOID SOFTMAX SOFTMAX_LOSS SPLIT TANH WINDOW_DATA ELTWISE POWER
    SIGMOID_CROSS_ENTROPY_LOSS HINGE_LOSS MEMORY_DATA ARGMAX THRESHOLD DUMMY_DATA SLICE MVN ABSVAL
    SILENCE CONTRASTIVE_LOSS EXP DECONVOLUTION"""


@dataclass(frozen=True)
class Field:
    """One field of a message: its number, and the type of its values.

    type: a name as in TEXT; "enum", with its words; "-" for a field that is skipped.
    """

    name: str
    number: int
    type: str
    repeated: bool
    words: tuple[str, ...] = ()


def _field(name: str, number: str, type_: str, star: str) -> Field:
    if type_.startswith("{"):
        return Field(name, int(number), "enum", bool(star), tuple(type_[1:-1].split()))
    return Field(name, int(number), type_, bool(star))


def _messages() -> dict[str, dict[str, Field]]:
    """The fields of each message by name."""
    text = TEXT.replace("V1_TYPES", V1_TYPES)
    found: dict[str, dict[str, Field]] = {}
    for kind, line in re.findall(r"^(\w+): ((?:.+\n)(?: +.+\n)*)", text, re.MULTILINE):
        parts = re.findall(r"(\w+) (\d+) (\{[^}]+\}|[\w-]+)(\*?)", line)
        found[kind] = {part[0]: _field(*part) for part in parts}
    return found


MESSAGES = _messages()
NUMBERS = {
    kind: {field.number: field for field in message.values()} for kind, message in MESSAGES.items()
}
