// usage: node ort.mjs MODEL.onnx   (in a folder where onnxruntime-node is installed)
// Times ONNX Runtime on request: prints {"load_ms"} once ready, then for every line on stdin, which says RUNS, runs the model that
// often (after one run to warm up) and prints {"min_ms","median_ms"}. A symbolic first dimension, or one of 1, is the batch,
// BENCH_BATCH; other symbolic dimensions are 1. BENCH_THREADS sets the threads.
import { createRequire } from "node:module";
import readline from "node:readline";
const require = createRequire(process.cwd() + "/");
const ort = require("onnxruntime-node");
const batch = +(process.env.BENCH_BATCH ?? 1);
const threads = +(process.env.BENCH_THREADS ?? 1);
const start = performance.now();
const session = await ort.InferenceSession.create(process.argv[2], {
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  graphOptimizationLevel: "all",
});
const feeds = {};
for (const { name, shape } of session.inputMetadata) {
  const dims = shape.map((d, i) => (typeof d === "number" && d > 0 && (i > 0 || d > 1) ? d : i === 0 ? batch : 1));
  const x = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * 0.37));
  feeds[name] = new ort.Tensor("float32", x, dims);
}
await session.run(feeds);
console.log(JSON.stringify({ load_ms: +(performance.now() - start).toFixed(1) }));
for await (const line of readline.createInterface({ input: process.stdin })) {
  const times = [];
  for (let i = 0; i <= +line; i++) {
    const t = performance.now();
    await session.run(feeds);
    if (i > 0) times.push(performance.now() - t);
  }
  times.sort((a, b) => a - b);
  console.log(JSON.stringify({ min_ms: +times[0].toFixed(4), median_ms: +times[times.length >> 1].toFixed(4) }));
}
