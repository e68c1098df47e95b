/* Every kernel template, for generated code. */
#ifndef CAMEO_KERNELS_ALL_H
#define CAMEO_KERNELS_ALL_H
#include "batchnorm.h"
#include "conv_pack.h"
#include "copy.h"
#include "depthwise_conv.h"
#include "depthwise_grad.h"
#include "direct_conv.h"
#include "dropout.h"
#include "elementwise.h"
#include "gemm.h"
#include "grouped_conv.h"
#include "loss.h"
#include "matmul.h"
#include "metric.h"
#include "pool.h"
#include "pool_grad.h"
#include "reorder.h"
#include "strassen_conv.h"
#include "strip_conv.h"
#include "weight_gradient.h"
#include "winograd_conv.h"

#include "xnn.h" /* declarations only: a program without XNNPACK layers refers to none of it */
#endif
