// usage: node ort.mjs MODEL.onnx CxHxW COUNT   (in a folder where onnxruntime-node is installed)
// Runs ONNX Runtime on the deterministic input of the golden files, x[i] = sin(0.37 i) (i over the whole tensor, in
// double, rounded to float32), and prints one JSON line: the outputs as {"name","shape","data"}.
import { createRequire } from "node:module";
const require = createRequire(process.cwd() + "/");
const ort = require("onnxruntime-node");
const [model, shape, count = "1"] = process.argv.slice(2);
const dims = [+count, ...shape.split("x").map(Number)];
const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1, interOpNumThreads: 1, graphOptimizationLevel: "basic" });
const x = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * 0.37));
const out = await session.run({ [session.inputNames[0]]: new ort.Tensor("float32", x, dims) });
console.log(JSON.stringify(session.outputNames.map((name) => ({ name, shape: out[name].dims, data: Array.from(out[name].data) }))));
