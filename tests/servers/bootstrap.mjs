// A runtime for Node on its standard library: chains SHA-256 digests, fails for {"fail": 1}, exits for {"exit": 1}.
// The CPU time that digests took by its own clock, in ms, goes to the file {"to": ...}.
import { createHash } from "node:crypto";
import { appendFileSync } from "node:fs";
import http from "node:http";

const [hostname, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const options = { hostname, port, method, agent, path: `/2018-06-01/runtime/${path}` };
    const request = http.request(options, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(parts).toString() }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

function handle(event) {
  if (event.exit) process.exit(9);
  if (event.fail) throw new Error("no such order");
  const began = process.cpuUsage();
  let digest = Buffer.alloc(0);
  for (let round = 0; round < event.rounds; round++) digest = createHash("sha256").update(digest).digest();
  const used = process.cpuUsage(began);
  if (event.to) appendFileSync(event.to, `${(used.user + used.system) / 1000}\n`);
  return { digest: digest.toString("hex") };
}

for (;;) {
  const event = await call("GET", "invocation/next");
  const id = event.headers["lambda-runtime-aws-request-id"];
  try {
    await call("POST", `invocation/${id}/response`, JSON.stringify(handle(JSON.parse(event.body))));
  } catch (error) {
    const told = { errorType: error.name, errorMessage: error.message };
    await call("POST", `invocation/${id}/error`, JSON.stringify(told));
  }
}
