// Runs a Lambda handler in Node: asks the Runtime API for work, calls the handler, posts what it gives.
// Error payloads have the members of AWS's own runtime: errorType, errorMessage, trace.
import { existsSync } from "node:fs";
import http from "node:http";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const base = "/2018-06-01/runtime";

function call(method, url, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const bytes = body === undefined ? undefined : Buffer.from(body);
    if (bytes) headers = { ...headers, "Content-Type": "application/json", "Content-Length": bytes.length };
    const request = http.request({ host, port, agent, method, path: base + url, headers }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ headers: response.headers, text: Buffer.concat(chunks).toString() }));
      response.on("error", reject);
    });
    request.setNoDelay(true);
    request.on("error", reject);
    request.end(bytes);
  });
}

function payload(error) {
  const isError = error instanceof Error || (error && typeof error === "object" && "message" in error);
  return isError
    ? { errorType: error.name || "Error", errorMessage: error.message, trace: (error.stack || "").split("\n") }
    : { errorType: typeof error, errorMessage: String(error), trace: [] };
}

const post = (url, error) =>
  call("POST", url, JSON.stringify(error), { "Lambda-Runtime-Function-Error-Type": error.errorType });

function named(errorType, message) {
  return Object.assign(new Error(message), { name: errorType });
}

async function load() {
  const text = process.env._HANDLER;
  const match = /^(.*\/)?([^/.]*)\.(.+)$/.exec(text);
  if (!match) throw named("Runtime.MalformedHandlerName", `Bad handler: ${text}`);
  const file = path.resolve(process.env.LAMBDA_TASK_ROOT, match[1] || "", match[2]);
  const found = ["", ".js", ".mjs", ".cjs"].map((extension) => file + extension).find(existsSync);
  if (!found) throw named("Runtime.ImportModuleError", `Error: Cannot find module '${match[2]}'`);
  let module;
  try {
    module = await import(pathToFileURL(found));
  } catch (error) {
    if (error instanceof SyntaxError) throw named("Runtime.UserCodeSyntaxError", `SyntaxError: ${error.message}`);
    if (error?.code?.includes("MODULE_NOT_FOUND")) throw named("Runtime.ImportModuleError", `Error: ${error.message}`);
    throw error;
  }
  const walk = (from) => match[3].split(".").reduce((value, name) => value?.[name], from);
  const handler = walk(module) ?? walk(module.default);
  if (handler === undefined) throw named("Runtime.HandlerNotFound", `${text} is undefined or not exported`);
  if (typeof handler !== "function") throw named("Runtime.HandlerNotFound", `${text} is not a function`);
  return handler;
}

function contextOf(headers) {
  const parsed = (name) => (headers[name] ? JSON.parse(headers[name]) : undefined);
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    awsRequestId: headers["lambda-runtime-aws-request-id"],
    clientContext: parsed("lambda-runtime-client-context"),
    identity: parsed("lambda-runtime-cognito-identity"),
    getRemainingTimeInMillis: () => Number(headers["lambda-runtime-deadline-ms"]) - Date.now(),
  };
}

// What AWS answers when a handler that is no promise never calls back: null, once nothing is left to happen.
let nothingLeft = () => {};
process.on("beforeExit", () => nothingLeft());

function invoke(handler, event, context) {
  return new Promise((resolve, reject) => {
    const callback = (error, result) => (error === null || error === undefined ? resolve(result) : reject(error));
    Object.assign(context, { done: callback, succeed: resolve, fail: reject });
    nothingLeft = () => resolve(null);
    const returned = handler(event, context, callback);
    if (typeof returned?.then === "function") returned.then(resolve, reject);
  });
}

let current;
async function die(errorType, cause, code) {
  const error = errorType ? { ...payload(cause), errorType } : payload(cause);
  console.error(error.trace.join("\n") || error.errorMessage);
  await post(current ? `/invocation/${current}/error` : "/init/error", error).catch(() => {});
  process.exit(code);
}
process.on("uncaughtException", (error) => die(undefined, error, 129));
process.on("unhandledRejection", (error) => die("Runtime.UnhandledPromiseRejection", error, 128));

async function run() {
  let handler;
  try {
    handler = await load();
  } catch (error) {
    await die(undefined, error, 1);
  }
  for (;;) {
    const { headers, text } = await call("GET", "/invocation/next");
    current = headers["lambda-runtime-aws-request-id"];
    try {
      const result = await invoke(handler, JSON.parse(text), contextOf(headers));
      await call("POST", `/invocation/${current}/response`, JSON.stringify(result === undefined ? null : result));
    } catch (error) {
      const told = payload(error);
      console.error(told.trace.join("\n") || told.errorMessage);
      await post(`/invocation/${current}/error`, told);
    }
    current = undefined;
  }
}

run().catch((error) => die(undefined, error, 1));
