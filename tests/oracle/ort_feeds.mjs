// usage: node ort_feeds.mjs MODEL.onnx <FEEDS.json   (in a folder where onnxruntime-node is installed)
// Runs ONNX Runtime, without its optimisations, on inputs [{"name","type","dims","data"}], and prints the outputs in the same form.
import { createRequire } from "node:module";
import fs from "node:fs";
const require = createRequire(process.cwd() + "/");
const ort = require("onnxruntime-node");
const arrays = { float32: Float32Array, float64: Float64Array, int64: BigInt64Array, int32: Int32Array, uint8: Uint8Array };
const session = await ort.InferenceSession.create(process.argv[2], { intraOpNumThreads: 1, graphOptimizationLevel: "disabled", logSeverityLevel: 3 });
const feeds = {};
for (const f of JSON.parse(fs.readFileSync(0)))
  feeds[f.name] = new ort.Tensor(f.type, arrays[f.type].from(f.type === "int64" ? f.data.map(BigInt) : f.data), f.dims);
const out = await session.run(feeds);
console.log(JSON.stringify(session.outputNames.map((name) => ({ name, type: out[name].type, dims: out[name].dims, data: Array.from(out[name].data, Number) }))));
