// RxJS's webSocket on the npm package ws: what ../clients/measures.py does, for Node.
// node client.js TASK: runs one measurement by a task in JSON, and prints its figures as a line of JSON.
"use strict";

const fs = require("node:fs");
const { webSocket } = require("rxjs/webSocket");
const { map, filter } = require("rxjs");
const WebSocket = require("ws");

const WARM_UP = 100;
const PATIENCE = 30000;
const HIGH_WATER = 1 << 20;

const task = {
  tls: false, deflate: false, text: true, json: false, size: 100, seconds: 0.5, burst: 1, sessions: 1,
  chain: false, decode: false, ...JSON.parse(process.argv[2]),
};

// --- what is measured

const now = () => process.hrtime.bigint();
const clock = {
  start() {
    this.wall ??= now();
    this.cpu ??= process.cpuUsage();
  },
  figures(messages) {
    const seconds = Number(now() - this.wall) / 1e9;
    const { user, system } = process.cpuUsage(this.cpu);
    return { messages, seconds, rate: messages / seconds, cpu: (user + system) / messages };
  },
};

function memory() {
  const found = {};
  try {
    for (const [, name, size] of fs.readFileSync("/proc/self/smaps_rollup", "utf8").matchAll(/(\w+): +(\d+) kB/g)) {
      found[name] = Number(size);
    }
  } catch {
    return { rss: process.memoryUsage().rss / 1024 };
  }
  return { rss: found.Rss, pss: found.Pss, private: found.Private_Clean + found.Private_Dirty };
}

// --- the client

class Configured extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, {
      perMessageDeflate: task.deflate,
      ca: task.tls ? fs.readFileSync(task.authority) : undefined,
      maxPayload: 0,
    });
    this.binaryType = "nodebuffer";
    Configured.last = this;
  }
}

function open(opened, closed) {
  return webSocket({
    url: task.url,
    WebSocketCtor: Configured,
    deserializer: (event) => event.data,
    serializer: (message) => message,
    openObserver: { next: opened },
    closeObserver: closed && { next: closed },
  });
}

function message() {
  const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const text = letters.repeat(Math.ceil(task.size / letters.length)).slice(0, task.size);
  return task.text ? text : Buffer.from(text);
}

const kinds = {
  receive() {
    let count = 0;
    const subject = open(() => clock.start());
    const stream = task.decode
      ? subject.pipe(map((text) => JSON.parse(text)))
      : task.chain
        ? subject.pipe(map((text) => text.length), filter((length) => length > 0))
        : subject;
    return new Promise((resolve, reject) => {
      stream.subscribe({
        next: () => { count += 1; },
        error: reject,
        complete: () => resolve({ ...clock.figures(count), received: count }),
      });
    });
  },

  answer() {
    let count = 0;
    const subject = open(() => clock.start());
    return new Promise((resolve, reject) => {
      subject.subscribe({
        next: (text) => {
          count += 1;
          for (let number = 0; number < task.burst; number += 1) subject.next(text);
        },
        error: reject,
        complete: () => resolve({ ...clock.figures(count * task.burst), received: count }),
      });
    });
  },

  "round trip"() {
    const times = [];
    const subject = open(() => clock.start());
    return new Promise((resolve, reject) => {
      subject.subscribe({
        next: (text) => {
          times.push(now());
          subject.next(text);
        },
        error: reject,
        complete: () => {
          const trips = [];
          for (let index = WARM_UP + 1; index < times.length; index += 1) {
            trips.push(Number(times[index] - times[index - 1]) / 1000);
          }
          trips.sort((one, other) => one - other);
          resolve({
            ...clock.figures(times.length),
            received: times.length,
            p50: trips[Math.floor(trips.length / 2)],
            p99: trips[Math.floor((trips.length * 99) / 100)],
          });
        },
      });
    });
  },

  send() {
    let count = 0;
    const what = message();
    return new Promise((resolve, reject) => {
      const subject = open(() => {
        clock.start();
        const end = now() + BigInt(Math.round(task.seconds * 1e9));
        const socket = Configured.last;
        const turn = () => {
          while (socket.bufferedAmount < HIGH_WATER) {
            if (now() >= end) {
              subject.complete();
              return;
            }
            for (let number = 0; number < task.burst; number += 1) subject.next(what);
            count += task.burst;
          }
          setImmediate(turn);
        };
        setImmediate(turn); // what is sent in an openObserver waits in a queue of RxJS's until that has returned
      }, () => resolve({ ...clock.figures(count), sent: count }));
      subject.subscribe({ error: reject });
    });
  },

  async connect() {
    let count = 0;
    clock.start();
    const end = now() + BigInt(Math.round(task.seconds * 1e9));
    while (now() < end) {
      await new Promise((resolve, reject) => {
        const subject = open(() => subject.complete(), resolve);
        subject.subscribe({ error: reject });
      });
      count += 1;
    }
    return clock.figures(count);
  },

  async gather() {
    await crowd(1);
    global.gc?.();
    const before = memory();
    const { seconds, failures, after } = await crowd(task.sessions);
    const each = Object.entries(before).map(([name, size]) => [name, (after[name] - size) / task.sessions]);
    return { ...Object.fromEntries(each), seconds, failures };
  },
};

async function crowd(size) {
  const start = now();
  const what = message();
  let served = 0;
  let seconds = 0;
  const ends = [];
  const subjects = [];
  await new Promise((resolve) => {
    const timer = setTimeout(resolve, PATIENCE);
    for (let number = 0; number < size; number += 1) {
      ends.push(new Promise((ended) => {
        const subject = open(() => subject.next(what), ended);
        subjects.push(subject);
        subject.subscribe({
          next: () => {
            served += 1;
            seconds = Number(now() - start) / 1e9;
            if (served === size) {
              clearTimeout(timer);
              resolve();
            }
          },
          error: ended,
        });
      }));
    }
  });
  global.gc?.();
  const after = memory();
  for (const subject of subjects) subject.complete();
  await Promise.all(ends);
  return { seconds, failures: size - served, after };
}

kinds[task.kind]().then((figures) => {
  console.log(JSON.stringify({ ...figures, peak_rss: process.resourceUsage().maxRSS * 1024 }));
});
