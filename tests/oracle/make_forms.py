#!/usr/bin/python3
"""Small models in the forms that other tools write (tf2onnx, MXNet, PaddlePaddle, PyTorch 1 and 2, scikit-learn, Caffe2, CNTK), each
with an input and what ONNX Runtime makes of it: writes tests/forms/NAME/ as ONNX's backend tests are laid out, for `cameo conform`.
Needs python3-onnx, and a folder with onnxruntime-node; run by hand, the files are committed.

usage: make_forms.py FOLDER_OF_ONNXRUNTIME ../forms

The nodes are written down after each tool's habits; no tool is run. Where ONNX Runtime refuses a form that has one reading alone, the
expected output comes from another model, given as `same_as`, that says the same in the standard's words."""
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh

RUNTIME, FORMS = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
random = np.random.RandomState(7)
N = h.make_node


def F(*shape):
    return random.randn(*shape).astype(np.float32) * 0.5


def P(*shape):
    return (random.rand(*shape) + 0.5).astype(np.float32)


def I(*numbers):
    return np.array(numbers, np.int64)


def info(name, array):
    return h.make_tensor_value_info(name, onnx.mapping.NP_TYPE_TO_TENSOR_TYPE[array.dtype], array.shape)


def model(nodes, feeds, outs, inits, opset, producer, ir, extra_inputs, invi, declare, also):
    tensors = [nh.from_array(np.asarray(v), k) for k, v in inits.items()] + also
    ir = ir or (3 if opset < 9 else 7)
    inputs = (invi or [info(k, v) for k, v in feeds.items()]) + list(extra_inputs)
    if ir < 4:
        inputs += [info(t.name, nh.to_array(t)) for t in tensors]
    outputs = declare or [h.make_tensor_value_info(*((o, T.FLOAT) if isinstance(o, str) else o), None) for o in outs]
    made = h.make_model(h.make_graph(nodes, "form", inputs, outputs, tensors), opset_imports=[h.make_opsetid("", opset)])
    made.producer_name, made.ir_version = producer, ir
    return made


def store(folder, kind, i, array, name):
    with open("%s/test_data_set_0/%s_%d.pb" % (folder, kind, i), "wb") as f:
        f.write(nh.from_array(array, name).SerializeToString())


def runtime_outputs(path, feeds):
    """What ONNX Runtime makes of the model at path."""
    given = [{"name": k, "type": str(v.dtype), "dims": v.shape, "data": v.flatten().tolist()} for k, v in feeds.items()]
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ort_feeds.mjs")
    answer = subprocess.run(["node", script, path], cwd=RUNTIME, input=json.dumps(given), capture_output=True, text=True, check=True)
    return [(o["name"], np.array(o["data"], o["type"]).reshape(o["dims"])) for o in json.loads(answer.stdout)]


def form(name, nodes, feeds, outs, inits={}, opset=13, producer="", ir=None, extra_inputs=(), invi=None, declare=None, also=[],
         same_as=None):
    folder = os.path.join(FORMS, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder + "/test_data_set_0")
    path = folder + "/model.onnx"
    rest = (feeds, outs, inits, opset, producer, ir, extra_inputs, invi, declare, also)
    if same_as:
        onnx.save(model(same_as[0], feeds, outs, dict(inits, **same_as[1]), *rest[3:]), path)
    else:
        onnx.save(model(nodes, *rest), path)
    for i, (key, array) in enumerate(runtime_outputs(path, feeds)):
        store(folder, "output", i, array, key)
    onnx.save(model(nodes, *rest), path)
    for i, (key, array) in enumerate(feeds.items()):
        store(folder, "input", i, array, key)


x = F(1, 3, 8, 8)
form("keras-nhwc-conv", [N('Transpose',['x'],['t'],perm=[0,3,1,2]),N('Conv',['t','w'],['c'],auto_pad='SAME_UPPER',strides=[2,2],kernel_shape=[3,3],dilations=[1,1],group=1),N('Add',['c','b'],['d']),N('Relu',['d'],['r']),N('Transpose',['r'],['y'],perm=[0,2,3,1])],{'x':F(1,9,9,3)},['y'],{'w':F(4,3,3,3),'b':F(1,4,1,1)},producer='tf2onnx')
form("keras-gap-reducemean", [N('ReduceMean',['x'],['m'],axes=[2,3],keepdims=0),N('MatMul',['m','w'],['q']),N('Add',['q','b'],['z']),N('Softmax',['z'],['y'],axis=-1)],{'x':F(1,3,5,5)},['y'],{'w':F(3,4),'b':F(4)},producer='tf2onnx')
form("keras-relu6-minmax", [N('Relu',['x'],['r']),N('Min',['r','six'],['y'])],{'x':x*20},['y'],{'six':np.float32(6)},producer='tf2onnx')
form("keras-flatten-reshape", [N('Transpose',['x'],['t'],perm=[0,2,3,1]),N('Reshape',['t','s'],['f']),N('MatMul',['f','w'],['y'])],{'x':F(2,3,4,4)},['y'],{'s':I(-1,48),'w':F(48,5)})
form("tf-shape-reshape", [N('Shape',['x'],['sh']),N('Cast',['sh'],['shi'],to=6),N('Slice',['shi','st','en','ax'],['b']),N('Squeeze',['b'],['bs'],axes=[0]),N('Unsqueeze',['bs'],['bu'],axes=[0]),N('Cast',['bu'],['b64'],to=7),N('Concat',['b64','m1'],['ns'],axis=0),N('Reshape',['x','ns'],['y'])],{'x':F(2,3,4)},['y'],{'st':I(0),'en':I(1),'ax':I(0),'m1':I(-1)},opset=11)
form("tf-depthwise-relu6", [N('Conv',['x','w','b'],['c'],group=3,auto_pad='SAME_UPPER',strides=[2,2]),N('Clip',['c'],['y'],min=0.,max=6.)],{'x':x},['y'],{'w':F(3,1,3,3),'b':F(3)},opset=10)
form("keras-prelu-full", [N('PRelu',['x','s'],['y'])],{'x':x},['y'],{'s':F(3,8,8)})
form("keras-pad-conv", [N('Pad',['x','p','v'],['q']),N('Conv',['q','w'],['y'],strides=[2,2])],{'x':x},['y'],{'p':I(0,0,0,0,0,0,1,1),'v':np.float32(0),'w':F(4,3,3,3)})
form("keras-zero-pad-attr", [N('Pad',['x'],['q'],mode='constant',pads=[0,0,1,1,0,0,1,1],value=0.),N('Conv',['q','w'],['y'],auto_pad='VALID')],{'x':x},['y'],{'w':F(4,3,3,3)},opset=10)
form("tf-strided-slice", [N('Slice',['x','s','e','a','t'],['q']),N('Squeeze',['q','sa'],['y'])],{'x':F(2,6,4)},['y'],{'s':I(1),'e':I(2),'a':I(0),'t':I(1),'sa':I(0)})
form("tf-gelu-erf", [N('Div',['x','r'],['d']),N('Erf',['d'],['e']),N('Add',['e','one'],['a']),N('Mul',['x','a'],['m']),N('Mul',['m','h'],['y'])],{'x':x},['y'],{'r':np.float32(1.4142135),'one':np.float32(1),'h':np.float32(.5)})
form("tf-l2norm", [N('Mul',['x','x'],['q']),N('ReduceSum',['q','ax'],['s'],keepdims=1),N('Max',['s','eps'],['m']),N('Sqrt',['m'],['r']),N('Reciprocal',['r'],['i']),N('Mul',['x','i'],['y'])],{'x':F(2,16)},['y'],{'ax':I(1),'eps':np.float32(1e-12)})
form("tf-softmax-12-default", [N('Softmax',['x'],['y'])],{'x':F(2,3,4)},['y'],opset=12)
form("keras-sepconv1d", [N('Unsqueeze',['x'],['u'],axes=[2]),N('Conv',['u','w'],['c'],group=3,pads=[0,1,0,1]),N('Squeeze',['c'],['y'],axes=[2])],{'x':F(1,3,10)},['y'],{'w':F(3,1,1,3)},opset=11)
form("mx-flatten-gemm-bn", [N('Flatten',['x'],['f']),N('Gemm',['f','w','b'],['q'],alpha=1.,beta=1.,transA=0,transB=1),N('BatchNormalization',['q','g','b2','mu','va'],['y'],epsilon=2e-5,spatial=0)],{'x':x},['y'],{'w':F(4,192),'b':F(4),'g':np.ones(4,np.float32),'b2':F(4),'mu':F(4),'va':P(4)},opset=8)
form("mx-dropout-9", [N('Dropout',['x'],['d','mask'],ratio=.4),N('Identity',['d'],['y'])],{'x':x},['y'],opset=9)
form("mx-avg-incl", [N('AveragePool',['x'],['y'],kernel_shape=[3,3],strides=[2,2],pads=[1,1,1,1],count_include_pad=1)],{'x':x},['y'],opset=8)
form("mx-slice-axis-1", [N('Slice',['x'],['y'],axes=[1],starts=[1],ends=[3])],{'x':x},['y'],opset=8)
form("mx-deconv", [N('ConvTranspose',['x','w'],['y'],kernel_shape=[4,4],strides=[2,2],pads=[1,1,1,1],group=3,dilations=[1,1])],{'x':x},['y'],{'w':F(3,1,4,4)},opset=8)
form("mx-reshape-attrless", [N('Reshape',['x','s'],['y'])],{'x':x},['y'],{'s':I(0,-1)},opset=8)
form("mx-hardsig", [N('HardSigmoid',['x'],['s'],alpha=.16666667,beta=.5),N('Mul',['x','s'],['y'])],{'x':x},['y'],opset=8)
form("paddle-se", [N('GlobalAveragePool',['x'],['g']),N('Conv',['g','w1'],['a']),N('Reshape',['b1','sh'],['b1r']),N('Add',['a','b1r'],['q']),N('Relu',['q'],['r']),N('Conv',['r','w2'],['b']),N('HardSigmoid',['b'],['s'],alpha=.2,beta=.5),N('Mul',['x','s'],['y'])],{'x':x},['y'],{'w1':F(2,3,1,1),'w2':F(3,2,1,1),'b1':F(2),'sh':I(1,2,1,1)},opset=10,producer='PaddlePaddle')
form("paddle-const-nodes", [N('Constant',[],['c'],value=nh.from_array(I(0,-1))),N('Reshape',['x','c'],['f']),N('Constant',[],['w'],value=nh.from_array(F(192,4))),N('MatMul',['f','w'],['m']),N('Constant',[],['b'],value=nh.from_array(F(4))),N('Add',['m','b'],['y'])],{'x':x},['y'],opset=11)
form("paddle-hardswish", [N('Constant',[],['three'],value=nh.from_array(np.array([3],np.float32))),N('Constant',[],['six'],value=nh.from_array(np.array([6],np.float32))),N('Add',['x','three'],['a']),N('Clip',['a'],['c'],min=0.,max=6.),N('Mul',['x','c'],['m']),N('Div',['m','six'],['y'])],{'x':x*4},['y'],opset=10)
form("paddle-dyn-shape", [N('Shape',['x'],['sh']),N('Slice',['sh','a','b'],['n']),N('Concat',['n','r'],['ns'],axis=0),N('Reshape',['x','ns'],['y'])],{'x':x},['y'],{'a':I(0),'b':I(1),'r':I(3,64)},opset=11)
form("paddle-pool-ceil", [N('MaxPool',['x'],['y'],kernel_shape=[2,2],strides=[2,2],ceil_mode=1,pads=[0,0,0,0])],{'x':F(1,3,7,7)},['y'],opset=11)
form("paddle-softmax-reshape", [N('Transpose',['x'],['t'],perm=[0,2,3,1]),N('Softmax',['t'],['s'],axis=3),N('Transpose',['s'],['y'],perm=[0,3,1,2])],{'x':x},['y'],opset=11)
form("paddle-interp-sizes", [N('Shape',['x'],['sh']),N('Slice',['sh','a','b'],['nc']),N('Concat',['nc','hw'],['z'],axis=0),N('Resize',['x','roi','em','z'],['y'],mode='linear',coordinate_transformation_mode='align_corners')],{'x':x},['y'],{'a':I(0),'b':I(2),'hw':I(13,17),'roi':np.array([],np.float32),'em':np.array([],np.float32)},opset=11)
form("pt-view-dyn", [N('Shape',['x'],['s']),N('Constant',[],['i'],value=nh.from_array(np.int64(0))),N('Gather',['s','i'],['n'],axis=0),N('Unsqueeze',['n'],['u'],axes=[0]),N('Concat',['u','m'],['v'],axis=0),N('Reshape',['x','v'],['f']),N('Gemm',['f','w','b'],['y'],transB=1)],{'x':x},['y'],{'m':I(-1),'w':F(4,192),'b':F(4)},opset=9)
form("pt-groupnorm", [N('Reshape',['x','s'],['r']),N('InstanceNormalization',['r','one','zero'],['i'],epsilon=1e-5),N('Shape',['x'],['xs']),N('Reshape',['i','xs'],['b']),N('Mul',['b','g'],['m']),N('Add',['m','h'],['y'])],{'x':F(1,4,6,6)},['y'],{'s':I(0,2,-1),'one':np.ones(2,np.float32),'zero':np.zeros(2,np.float32),'g':F(4,1,1),'h':F(4,1,1)},opset=11)
form("pt-normalize", [N('ReduceL2',['x'],['n'],axes=[1],keepdims=1),N('Clip',['n'],['c'],min=1e-12),N('Shape',['x'],['s']),N('Expand',['c','s'],['e']),N('Div',['x','e'],['y'])],{'x':F(2,16)},['y'],opset=10)
form("pt-chunk", [N('Split',['x'],['a','b'],axis=1,split=[2,2]),N('Sigmoid',['b'],['s']),N('Mul',['a','s'],['y'])],{'x':F(1,4,5,5)},['y'],opset=11)
form("pt-pad-dyn", [N('ConstantOfShape',['four'],['z'],value=nh.from_array(np.array([0],np.int64))),N('Concat',['p0','z'],['p1'],axis=0),N('Reshape',['p1','m2'],['p2']),N('Slice',['p2','s','e','a','st'],['p3']),N('Transpose',['p3'],['p4'],perm=[1,0]),N('Reshape',['p4','m1'],['p5']),N('Cast',['p5'],['p6'],to=7),N('Pad',['x','p6','v'],['y'],mode='constant')],{'x':x},['y'],{'four':I(4),'p0':I(1,2,1,2),'m2':I(-1,2),'m1':I(-1),'s':I(-1),'e':I(-9223372036854775807),'a':I(0),'st':I(-1),'v':np.float32(0)},opset=11)
form("pt-where-mask", [N('Greater',['x','z'],['m']),N('Where',['m','x','z2'],['y'])],{'x':x},['y'],{'z':np.float32(0),'z2':np.float32(-1)},opset=11)
form("pt-layernorm-decomp", [N('ReduceMean',['x'],['m'],axes=[-1]),N('Sub',['x','m'],['d']),N('Pow',['d','two'],['p']),N('ReduceMean',['p'],['v'],axes=[-1]),N('Add',['v','eps'],['a']),N('Sqrt',['a'],['s']),N('Div',['d','s'],['q']),N('Mul',['q','g'],['w']),N('Add',['w','b'],['y'])],{'x':F(2,5,8)},['y'],{'two':np.float32(2),'eps':np.float32(1e-5),'g':F(8),'b':F(8)},opset=11)
form("pt-attention", [N('MatMul',['x','wq'],['q']),N('MatMul',['x','wk'],['k']),N('Transpose',['k'],['kt'],perm=[0,2,1]),N('MatMul',['q','kt'],['s']),N('Div',['s','c'],['sd']),N('Softmax',['sd'],['a'],axis=-1),N('MatMul',['a','x'],['y'])],{'x':F(1,5,8)},['y'],{'wq':F(8,8),'wk':F(8,8),'c':np.float32(2.8284)})
form("pt-gather-idx", [N('Gather',['x','i'],['y'],axis=1)],{'x':F(2,5,4)},['y'],{'i':np.array([[0,-1],[2,1]],np.int64)},opset=11)
form("pt-pixelshuffle-old", [N('Reshape',['x','a'],['r']),N('Transpose',['r'],['t'],perm=[0,1,4,2,5,3]),N('Reshape',['t','b'],['y'])],{'x':F(1,4,3,3)},['y'],{'a':I(-1,1,2,2,3,3),'b':I(-1,1,6,6)},opset=9)
form("pt2-split18", [N('Split',['x'],['a','b','c'],axis=1,num_outputs=3),N('Concat',['c','a','b'],['y'],axis=1)],{'x':F(1,7,4)},['y'],opset=18)
form("pt2-reducemax18", [N('ReduceMax',['x','a'],['y'],keepdims=0)],{'x':F(2,3,4)},['y'],{'a':I(1,2)},opset=18)
form("pt2-groupnorm18", [N('Reshape',['x','s'],['r']),N('InstanceNormalization',['r','o','z'],['i']),N('Reshape',['i','t'],['y'])],{'x':F(1,4,6,6)},['y'],{'s':I(0,2,-1),'o':np.ones(2,np.float32),'z':np.zeros(2,np.float32),'t':I(1,4,6,6)},opset=18)
form("pt2-clip-empty", [N('Clip',['x','','hi'],['y'])],{'x':x},['y'],{'hi':np.float32(.2)},opset=18)
form("pt2-pad-axes", [N('Pad',['x','p','','ax'],['y'])],{'x':x},['y'],{'p':I(1,2,1,2),'ax':I(2,3)},opset=18)
form("pt2-maxpool-dil", [N('MaxPool',['x'],['y'],kernel_shape=[2,2],strides=[1,1],dilations=[2,2],ceil_mode=0,auto_pad='NOTSET')],{'x':x},['y'],opset=17)
form("pt2-squeeze-empty13", [N('Squeeze',['x','a'],['y'])],{'x':F(1,3,1,4)},['y'],{'a':np.array([],np.int64)},opset=13)
form("reducesum-empty13", [N('ReduceSum',['x','a'],['y'],keepdims=0)],{'x':F(3,4)},['y'],{'a':np.array([],np.int64)},opset=13)
form("reducemean-empty18", [N('ReduceMean',['x','a'],['y'],keepdims=0)],{'x':F(3,4)},['y'],{'a':np.array([],np.int64)},opset=18)
form("sk-scaler-mlp", [N('Cast',['x'],['f'],to=1),N('Sub',['f','m'],['d']),N('Div',['d','s'],['z']),N('MatMul',['z','w'],['q']),N('Add',['q','b'],['a']),N('Relu',['a'],['r']),N('MatMul',['r','w2'],['l']),N('Add',['l','b2'],['p']),N('Softmax',['p'],['y'],axis=1)],{'x':F(3,4)},['y'],{'m':F(1,4),'s':P(1,4),'w':F(4,6),'b':F(1,6),'w2':F(6,3),'b2':F(1,3)},opset=12,producer='skl2onnx')
form("sk-logistic", [N('Gemm',['x','w','b'],['g']),N('Sigmoid',['g'],['s']),N('Sub',['one','s'],['n']),N('Concat',['n','s'],['y'],axis=1)],{'x':F(3,4)},['y'],{'w':F(4,1),'b':F(1),'one':np.array([1],np.float32)},opset=12)
form("sk-pca-f64", [N('Sub',['x','m'],['d']),N('MatMul',['d','w'],['y'])],{'x':random.randn(3,4)},[('y',T.DOUBLE)],{'m':random.randn(1,4),'w':random.randn(4,2)},opset=12)
form("gemm-beta0-nan", [N('Gemm',['x','w','c'],['y'],beta=0.)],{'x':F(2,3)},['y'],{'w':F(3,4),'c':np.full((4,),np.nan,np.float32)})
form("gemm-c-col", [N('Gemm',['x','w','c'],['y'])],{'x':F(2,3)},['y'],{'w':F(3,4),'c':F(2,1)})
form("c2-sum-relu", [N('Sum',['x','x2'],['s']),N('Relu',['s'],['y'])],{'x':x,'x2':F(1,3,8,8)},['y'],opset=6)
form("c2-globalpool-reshape", [N('AveragePool',['x'],['a'],kernel_shape=[8,8],strides=[1,1],pads=[0,0,0,0]),N('Reshape',['a','s'],['y'])],{'x':x},['y'],{'s':I(1,-1)},opset=7)
form("c2-unsq-mul", [N('Unsqueeze',['g'],['gu'],axes=[1,2]),N('Mul',['x','gu'],['m']),N('Unsqueeze',['b'],['bu'],axes=[1,2]),N('Add',['m','bu'],['y'])],{'x':x},['y'],{'g':F(3),'b':F(3)},opset=9)
form("c2-softmax-4d", [N('Softmax',['x'],['y'])],{'x':F(1,5,1,1)},['y'],opset=7)
form("c2-conv-autopad-lower", [N('Conv',['x','w'],['y'],auto_pad='SAME_LOWER',strides=[2,2])],{'x':x},['y'],{'w':F(4,3,2,2)},opset=7)
form("c2-pool-lower", [N('AveragePool',['x'],['y'],auto_pad='SAME_LOWER',kernel_shape=[2,2],strides=[2,2])],{'x':F(1,3,7,7)},['y'],opset=7)
form("old-upsample7-lin", [N('Upsample',['x'],['y'],mode='linear',scales=[1.,1.,2.,2.])],{'x':x},['y'],opset=7)
form("old-cast-bool", [N('Greater',['x','z'],['g']),N('Cast',['g'],['f'],to=1),N('Mul',['x','f'],['y'])],{'x':x},['y'],{'z':np.array(0,np.float32)},opset=8)
form("cntk-reshape-bias", [N('Conv',['x','w'],['c'],pads=[1,1,1,1]),N('Add',['c','b'],['y'])],{'x':x},['y'],{'w':F(4,3,3,3),'b':F(4,1,1)},opset=8)
form("out-twice", [N('Relu',['x'],['y']),N('Sigmoid',['y'],['z'])],{'x':x},['z','y'])
form("const-output", [N('Relu',['x'],['y'])],{'x':x},['y','c'],{'c':F(3)})
form("ir4-default-input", [N('Add',['x','d'],['y'])],{'x':x},['y'],{'d':F(1)},ir=6,extra_inputs=[h.make_tensor_value_info('d',T.FLOAT,[1])])
form("dim0-batch", [N('Relu',['x'],['y'])],{'x':x},['y'],invi=[h.make_tensor_value_info('x',T.FLOAT,['None',3,8,8])])

# Forms that ONNX Runtime refuses, or warns of.
body = [N("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1])]
params = {"w": F(4, 3, 3, 3), "g": P(4), "b": F(4), "mu": F(4), "va": P(4), "s": F(4)}
batchnorm = ["c", "g", "b", "mu", "va"]
form("mxnet-arcface", body + [N("BatchNormalization", batchnorm, ["n"], epsilon=2e-5, spatial=0), N("PRelu", ["n", "s"], ["y"])],
     {"x": F(1, 3, 6, 5)}, ["y"], params, opset=8,
     same_as=(body + [N("BatchNormalization", batchnorm, ["n"], epsilon=2e-5), N("PRelu", ["n", "sc"], ["y"])],
              {"sc": params["s"].reshape(4, 1, 1)}))
form("unread-nodes", [N("Relu", ["x"], ["y"]), N("NonZero", ["y"], ["z"]), N("Cast", ["y"], ["half"], to=T.FLOAT16)], {"x": x}, ["y"])
form("stale-extents", [N("Flatten", ["x"], ["y"])], {"x": F(2, 3, 4)}, ["y"],
     declare=[h.make_tensor_value_info("y", T.FLOAT, [2, 512])])
form("stale-rank", [N("Flatten", ["x"], ["y"])], {"x": F(2, 3, 4)}, ["y"],
     declare=[h.make_tensor_value_info("y", T.FLOAT, [2, 12, 1, 1])])
twice = nh.from_array(F(3, 1, 1), "b")
form("same-initializer-twice", [N("Add", ["x", "b"], ["y"])], {"x": x}, ["y"], also=[twice, twice])
for mode in ("linear", "cubic"):
    for scale in (1.5, 0.6):
        form("align-corners-%s-%g" % (mode, scale),
             [N("Resize", ["x", "", "s"], ["y"], mode=mode, coordinate_transformation_mode="align_corners")],
             {"x": F(1, 2, 5, 7)}, ["y"], {"s": np.array([1, 1, scale, scale], np.float32)}, producer="pytorch")
form("nearest-half-pixel", [N("Resize", ["x", "", "s"], ["y"], mode="nearest", nearest_mode="floor")], {"x": F(1, 2, 5, 7)}, ["y"],
     {"s": np.array([1, 1, 0.6, 1.28], np.float32)})
form("antialias-far", [N("Resize", ["x", "", "s"], ["y"], mode="cubic", antialias=1)], {"x": F(1, 2, 5, 7)}, ["y"],
     {"s": np.array([1, 1, 0.2, 0.3], np.float32)}, opset=18)
# Pictures as uint8, converted inside; whole weights, so that every order of sums gives the same. tests/e2e/forms.sh feeds them pictures.
w = random.randint(-2, 3, (4, 3, 3, 3)).astype(np.float32)
pixels = random.randint(0, 256, (1, 8, 8, 3)).astype(np.uint8)
tail = [N("Conv", ["t", "w"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]), N("GlobalAveragePool", ["c"], ["p"]), N("Flatten", ["p"], ["y"])]
form("uint8-nhwc", [N("Cast", ["x"], ["f"], to=T.FLOAT), N("Transpose", ["f"], ["t"], perm=[0, 3, 1, 2])] + tail, {"x": pixels}, ["y"],
     {"w": w})
form("uint8-nchw", [N("Cast", ["x"], ["t"], to=T.FLOAT)] + tail, {"x": pixels.transpose(0, 3, 1, 2).copy()}, ["y"], {"w": w})
# Height and width by name, the output declared for another size (SCRFD).
form("symbols", [N("Conv", ["x", "w"], ["c"], strides=[2, 2]), N("Transpose", ["c"], ["t"], perm=[2, 3, 0, 1]), N("Reshape", ["t", "s"], ["y"])],
     {"x": F(1, 3, 9, 11)}, ["y"], {"w": F(4, 3, 3, 3), "s": I(-1, 2)}, opset=11,
     invi=[h.make_tensor_value_info("x", T.FLOAT, ["N", 3, "?h", "?w"])], declare=[h.make_tensor_value_info("y", T.FLOAT, [12800, 2])])
# Blocks whose operators Cameo does in one kernel: a gate of squeeze and excitation, a transition of DenseNet.
form("squeeze-excite", [N("GlobalAveragePool", ["x"], ["p"]), N("Conv", ["p", "w1", "b1"], ["q"]), N("Relu", ["q"], ["r"]),
                        N("Conv", ["r", "w2", "b2"], ["t"]), N("Sigmoid", ["t"], ["s"]), N("Mul", ["s", "x"], ["m"]), N("Conv", ["m", "w", "b"], ["y"])],
     {"x": F(2, 32, 20, 17)}, ["y"],
     {"w1": F(8, 32, 1, 1), "b1": F(8), "w2": F(32, 8, 1, 1), "b2": F(32), "w": F(8, 32, 1, 1), "b": F(8)})
form("dense-transition", [N("BatchNormalization", ["x", "g", "b", "mu", "va"], ["n"]), N("Relu", ["n"], ["r"]), N("Conv", ["r", "w"], ["c"]),
                          N("AveragePool", ["c"], ["y"], kernel_shape=[2, 2], strides=[2, 2])],
     {"x": F(2, 24, 10, 7)}, ["y"], {"g": P(24), "b": F(24), "mu": F(24), "va": P(24), "w": F(32, 24, 1, 1)})
