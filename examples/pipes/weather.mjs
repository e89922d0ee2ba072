// Speaks the protocol in JavaScript, with nothing but what Node.js brings.
import { appendFileSync, readFileSync } from "node:fs";
import { inflateSync } from "node:zlib";

const decode = (name) => JSON.parse(inflateSync(Buffer.from(process.env[name], "base64")));
const found = decode("ATOLL_PIPES_CONTEXT");
const context = found.data ?? JSON.parse(readFileSync(found.path));
const { path } = decode("ATOLL_PIPES_MESSAGES");
const send = (method, params) =>
  appendFileSync(path, JSON.stringify({ __atoll_pipes_version: "1.0", method, params }) + "\n");

send("opened", { extras: {} });
send("log", { level: "INFO", message: `The weather of ${context.extras.city}` });
send("report_asset_materialization", {
  asset_key: context.asset_keys[0],
  data_version: "today",
  metadata: {
    degrees: { raw_value: 29.5, type: "float" },
    source: { raw_value: "https://example.org/weather", type: "url" },
  },
});
send("closed", {});
