// A server of the npm package graphql-ws: rooms, to which one says something, and those hear it who have subscribed.
// Prints its port, then a line of JSON for each token that a client came with, each subscription, each end of one, and
// each connection that ends.
"use strict";

const { buildSchema } = require("graphql");
const { useServer } = require("graphql-ws/use/ws");
const { WebSocketServer } = require("ws");

const schema = buildSchema(`
  type Query {
    greeting(name: String!): String!
  }
  type Mutation {
    say(room: String!, text: String!): Int!
    cut: Boolean
    close(code: Int!, reason: String!): Boolean
  }
  type Subscription {
    said(room: String!): Said!
    countdown(from: Int!): Int!
  }
  type Said {
    room: String!
    text: String!
  }
`);

function show(...line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

const listeners = new Map(); // by room: a set of functions that take what is said

// No generator, since one that waits for the next can't be told to return.
function hear(room) {
  const waiting = [];
  let wanted; // resolves the promise of the next, if it is awaited
  const listener = (said) => {
    waiting.push({ value: { said }, done: false });
    if (wanted) wanted(waiting.shift());
    wanted = undefined;
  };
  if (!listeners.has(room)) listeners.set(room, new Set());
  listeners.get(room).add(listener);
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: () => new Promise((resolve) => (waiting.length ? resolve(waiting.shift()) : (wanted = resolve))),
    return: async () => {
      listeners.get(room).delete(listener);
      wanted?.({ value: undefined, done: true });
      return { value: undefined, done: true };
    },
  };
}

async function* count(from) {
  for (let number = from; number > 0; number--) yield { countdown: number };
}

const roots = {
  query: { greeting: ({ name }) => `Hello, ${name}` },
  mutation: {
    say: ({ room, text }) => {
      const found = [...(listeners.get(room) ?? [])];
      for (const listener of found) listener({ room, text });
      return found.length;
    },
    cut: (_, { extra }) => void extra.socket.terminate(),
    close: ({ code, reason }, { extra }) => void extra.socket.close(code, reason),
  },
  subscription: { said: ({ room }) => hear(room), countdown: ({ from }) => count(from) },
};

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: 0,
  handleProtocols: (names) => names.has("graphql-transport-ws") && "graphql-transport-ws",
});

useServer(
  {
    schema,
    roots,
    context: (ctx) => ctx,
    connectionInitWaitTimeout: 500,
    onConnect: ({ connectionParams }) => {
      show("connect", connectionParams?.token ?? "");
      return connectionParams?.token !== "expired";
    },
    onSubscribe: (_, id) => show("subscribe", id),
    onComplete: (_, id) => show("complete", id),
    onClose: (_, code, reason) => show("close", code, reason.toString()),
  },
  server,
);

server.on("listening", () => show("listens", server.address().port));
