// Sells the weather over TLS by the HTTP/2 of Node itself. Arguments: a file with key and certificates, whom it guards.
import { readFileSync } from "node:fs";
import { createSecureServer } from "node:http2";

const [, , file, guards] = process.argv;
const pem = readFileSync(file);
let runs = 0;

const server = createSecureServer({ key: pem, cert: pem, allowHTTP1: true }, (request, response) => {
  const path = request.url.split("?")[0];
  const say = (status, told) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(request.method === "HEAD" ? undefined : JSON.stringify(told));
  };
  request.resume();
  const guarded = guards === "all" || request.httpVersion === "1.1";
  if (path === "/runs") return say(200, { n: runs });
  if (path !== "/api/weather") return say(404, {});
  if (guarded && request.headers["x-account"] !== "subscriber") return say(402, { code: "upgrade" });
  runs += 1;
  return say(200, { weather: "sunny", wind: "a light breeze from the west" });
});
for (const event of ["error", "sessionError", "tlsClientError"]) server.on(event, () => {});
server.on("clientError", (_, socket) => socket.destroy());
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
