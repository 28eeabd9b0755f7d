// A server on the npm package ws, with the routes of EchoServer in ../servers.py.
// Prints its port, then a line of JSON for each connection that ends; ends with its standard input.
"use strict";

const { WebSocketServer } = require("ws");

const OFFERED = ["chat.v1", "chat.v2"];
const BURST = 10000;

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: 0,
  maxPayload: 1 << 30,
  perMessageDeflate: { threshold: 0 }, // for clients that offer it
  handleProtocols: (names) => OFFERED.find((name) => names.has(name)) ?? false,
});

function show(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

server.on("listening", () => show(server.address().port));

server.on("connection", (client, request) => {
  client.on("close", (code, reason) => show([request.url, code, reason.toString()]));
  client.on("error", () => {}); // the close that follows tells of it
  switch (request.url) {
    case "/text":
      client.on("message", (data) => client.send(`echo: ${data}`));
      break;
    case "/close":
      client.on("message", (data) => {
        const [code, reason] = data.toString().split(/ (.*)/s);
        client.close(Number(code), reason);
      });
      break;
    case "/burst":
      for (let number = 0; number < BURST; number++) client.send(String(number));
      break;
    case "/ping":
      client.on("pong", (data) => client.send(data, { binary: true }));
      client.on("message", (data) => client.ping(data));
      break;
    case "/terminate":
      client.on("message", () => client.terminate());
      break;
    default:
      client.on("message", (data, isBinary) => client.send(data, { binary: isBinary }));
  }
});

process.stdin.on("end", () => process.exit(0)).resume();
