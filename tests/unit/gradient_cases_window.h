/* Gradient cases of convolutions, pools, normalisations, Dropout and losses. See
   gradient_case.h. */
#ifndef CAMEO_TESTS_GRADIENT_CASES_WINDOW_H
#define CAMEO_TESTS_GRADIENT_CASES_WINDOW_H
#include "gradient_case.h"

#define VARIANCES(n) FREE_IN(0.4, 2.1, 1, D(n))

static const gradient_case gradients_convolution[] = {
    {"Conv", "Conv", 11,
     .in = {WANTED(4, D(2, 3, 5, 4)), WANTED(4, D(4, 3, 3, 2)), WANTED(1, D(4))}},
    {"Conv groups, strides", "Conv", 11,
     .in = {WANTED(4, D(1, 4, 7, 5)), WANTED(4, D(6, 2, 3, 3)), WANTED(1, D(6))},
     .attrs = {I("group", 2), L("strides", 2, 2, 3), L("pads", 4, 1, 0, 2, 1),
               L("dilations", 2, 2, 1)}},
    {"ConvTranspose", "ConvTranspose", 11,
     .in = {WANTED(4, D(1, 4, 3, 2)), WANTED(4, D(4, 3, 3, 2)), WANTED(1, D(6))},
     .attrs = {I("group", 2), L("strides", 2, 2, 1), L("pads", 4, 1, 0, 0, 1),
               L("output_padding", 2, 1, 0)}},
};

static const gradient_case gradients_pool[] = {
    {"MaxPool", "MaxPool", 12, .in = {WANTED(4, D(2, 3, 5, 6))},
     .attrs = {L("kernel_shape", 2, 3, 2), L("strides", 2, 2, 1), L("pads", 4, 1, 1, 1, 0)}},
    {"AveragePool", "AveragePool", 11, .in = {WANTED(4, D(2, 3, 5, 6))},
     .attrs = {L("kernel_shape", 2, 3, 2), L("strides", 2, 2, 1), L("pads", 4, 1, 1, 1, 0)}},
    {"GlobalAveragePool", "GlobalAveragePool", 1, .in = {WANTED(4, D(2, 3, 5, 3))}},
    {"GlobalMaxPool", "GlobalMaxPool", 1, .in = {WANTED(4, D(2, 3, 5, 3))}},
};

static const gradient_case gradients_normalize[] = {
    {"BatchNormalization-6", "BatchNormalization", 6,
     .in = {WANTED(3, D(2, 3, 5)), WANTED(1, D(3)), WANTED(1, D(3)), FREE(1, D(3)), VARIANCES(3)},
     .attrs = {I("is_test", 1)}},
    {"BatchNormalization-7", "BatchNormalization", 7,
     .in = {WANTED(2, D(7, 3)), WANTED(1, D(3)), WANTED(1, D(3)), FREE(1, D(3)), VARIANCES(3)}},
    {"BatchNormalization-9", "BatchNormalization", 9,
     .in = {WANTED(4, D(2, 3, 5, 1)), WANTED(1, D(3)), WANTED(1, D(3)), FREE(1, D(3)),
            VARIANCES(3)}},
    {"BatchNormalization-14", "BatchNormalization", 15,
     .in = {WANTED(4, D(2, 3, 5, 2)), WANTED(1, D(3)), WANTED(1, D(3)), FREE(1, D(3)),
            VARIANCES(3)}},
    {"BatchNormTrain", "BatchNormTrain", 1,
     .in = {WANTED(4, D(3, 3, 5, 2)), WANTED(1, D(3)), WANTED(1, D(3)), FREE(1, D(3)), VARIANCES(3),
            WANTED(4, D(3, 3, 5, 2))},
     .attrs = {S("act", "relu")}, .n_out = 5, .unused = 30, .domain = "cameo"},
    {"InstanceNormalization", "InstanceNormalization", 6,
     .in = {WANTED(3, D(2, 3, 5)), WANTED(1, D(3)), WANTED(1, D(3))}},
    {"LayerNormalization", "LayerNormalization", 17,
     .in = {WANTED(3, D(2, 3, 5)), WANTED(1, D(5)), WANTED(1, D(5))}, .attrs = {I("axis", -1)}},
    {"LRN", "LRN", 13, .in = {WANTED(3, D(2, 5, 3))},
     .attrs = {I("size", 3), F("alpha", 0.7), F("bias", 1.5)}},
    {"DropoutTrain", "DropoutTrain", 1, .in = {WANTED(2, D(5, 7)), CONST(DT_INT64, 1, D(1), 9)},
     .attrs = {F("ratio", 0.3), I("id", 2)}, .domain = "cameo"},
};

static const gradient_case gradients_loss[] = {
    {"SoftmaxCrossEntropy", "SoftmaxCrossEntropy", 1,
     .in = {WANTED(2, D(3, 5)), GIVEN(DT_INT64, 1, D(3), 1, 0, 4),
            GIVEN(DT_INT64, 1, D(3), 2, 0, 3), FREE_IN(0.1, 0.9, 1, D(3)),
            GIVEN(DT_NONE, 1, D(1), 0.1)},
     .n_out = 4, .unused = 14, .domain = "cameo"},
    {"Margin", "Margin", 1,
     .in = {WANTED_IN(-7.2, 7.8, 2, D(3, 5)), GIVEN(DT_INT64, 1, D(3), 1, 0, 4)},
     .attrs = {F("scale", 8), F("m2", 0.5), F("m3", 0.125)}, .n_out = 4, .unused = 14,
     .domain = "cameo"},
    {"MetricLoss", "MetricLoss", 1,
     .in = {WANTED(2, D(5, 3)), GIVEN(DT_INT64, 1, D(5), 1, 0, 1, 0, 1)},
     .attrs = {S("kind", "hard"), F("margin", 2)}, .n_out = 5, .unused = 30, .domain = "cameo"},
    {"CenterLoss", "CenterLoss", 1,
     .in = {WANTED(2, D(4, 3)), FREE(2, D(2, 3)), GIVEN(DT_INT64, 1, D(4), 1, 0, 1, 1)},
     .attrs = {F("rate", 0.5)}, .n_out = 3, .unused = 6, .domain = "cameo"},
    {"MetricLoss, semi-hard", "MetricLoss", 1,
     .in = {WANTED(2, D(5, 3)), GIVEN(DT_INT64, 1, D(5), 1, 0, 1, 0, 1)},
     .attrs = {S("kind", "semi"), F("margin", 1)}, .n_out = 5, .unused = 30, .domain = "cameo"},
    {"MetricLoss, contrastive", "MetricLoss", 1,
     .in = {WANTED(2, D(5, 3)), GIVEN(DT_INT64, 1, D(5), 1, 0, 1, 0, 1)},
     .attrs = {S("kind", "contrastive"), F("margin", 3)}, .n_out = 5, .unused = 30,
     .domain = "cameo"},
};
#endif
