/** What `--help` prints: the options and the method. */
import { SEQUENCE_DIGITS } from "./load/message-format.ts";
import { MEASUREMENTS } from "./step.ts";
import { QUICK_TARGETS } from "./targets/target-names.ts";

export const HELP: string = `Usage: node test/bench/main.ts [options]

Measures servers that send each message of one publisher to all subscribers, side by side:

  hub             this repository's Worker on workerd, with its key store; raw sockets
  hub-durable     the same, in a domain with a durable log of 10,000 messages
  stream          the hub with sockets of wspubsub.v1, in a domain without a durable log
  stream-durable  the same, in a domain with a durable log of 10,000 messages
  floor           the shortest Durable Object that does the same (test/bench/floor)
  ws              npm ws on Node
  nchan           nginx with nchan, one worker process; skipped when not installed
  mosquitto       MQTT over WebSocket; skipped when not installed

Options:
  --targets LIST      which of them (default: all)
  --variant NAME=PATH another version of the hub, measured as well; repeatable. PATH is a checkout's
                      directory or a wrangler.toml. It runs with its own dependencies, where it has any,
                      and with our workerd and key store. A NAME that begins with "stream" or ends in
                      "-durable" is used as those targets are, and compared with them. Any other is
                      compared with hub. Use --rounds 9: fewer than 6 cannot be judged
  --only LIST         which of ${MEASUREMENTS.join(", ")}
                      (default: all)
  --subscribers LIST  subscribers for throughput (default 100,1000,4000)
  --latency-subscribers N, --latency-rate N
                      subscribers and messages per second for latency (default 100 and 50)
  --ends-subscribers N
                      subscribers of the topic that ends (default 10,000)
  --kick-topics N     live topics for kick (default 100)
  --kick-holders N    kick at scale: a key on N of those topics, one on all, and one on all while they
                      hibernate; other publishers stay on all of them (default: one key on all, alone)
  --rates LIST        messages per second for history (default 10,50,100)
  --delays LIST       history_delay_ms for history, of which each topic has one (default 0 and what a domain has)
  --rounds N          rounds over all targets (default 5)
  --seconds S         length of a measurement (default 2, after 1 of warm-up)
  --window N          messages in flight at most (default 512; for streams 2,048)
  --size BYTES        message size (default 128, at least ${SEQUENCE_DIGITS})
  --quick             one short round of ${QUICK_TARGETS.slice(0, -1).join(", ")}
                      and ${QUICK_TARGETS.slice(-1).join("")} with few subscribers: does it still work?
  --check             exit 1 when the hub misses its goals, or is worse than a variant
  --json              the result as JSON instead of tables
  --help              this text

Method: all servers run on this machine, started anew for every round. A round goes measurement by
measurement through the targets, A B C and in the next round C B A, so that a steady drift cancels out;
every number is the median over the rounds, and every ratio is taken within a round. Server and load
generator are pinned to a processor each where taskset exists. A measurement of throughput, connect or
ingest during which other work took more than 15% of a processor is repeated, twice at most. Linux only
(/proc).

A variant is compared with this version by the ratios "hub / NAME" within each round: by their median, and
by its 95% interval from order statistics, which assume nothing about the distribution. Of 9 rounds the
interval goes from the second smallest ratio to the second largest, of 6 to 8 from the smallest to the
largest. The hub is worse when the median is worse by more than 5% and the interval does not hold 1. What a
connect costs:

  --variant before=../checkout --only connect --targets hub,floor --rounds 9 --check

  throughput  A closed loop keeps up to --window messages under way to the slowest of 16 sampled
              subscribers, and 131,072 deliveries at most (streams: 1,048,576). A stream's publisher
              puts up to 100 messages into a frame. Processor time is that of the server's whole
              process tree. Every subscriber must receive every message, the sampled ones are compared
              byte for byte: a loss fails the run.
  latency     Messages at a steady rate to all subscribers, publish to receive on one clock.
  history     The same at --rates, of topics without history and with a durable log by --delays; the
              rows that the log has for it, and what so many cost a month at Cloudflare's price of a
              million, beyond what its plan includes (stream-durable).
  memory      growth of resident memory by 3,000 subscribers, which have received a message and idle,
              after 500 others have warmed the server up; first round only.
  connect     Publishers whose key the server knows join a live topic and leave, 16 at a time (hub, floor):
              processor time of each.
  post        32 connections that are kept alive post to one topic of a shared domain, a message each and 100 lines
              each, and to one of an exclusive domain: processor time of each (hub). The floor hands each body to
              an object by a bare call.
  kick        A key with one publisher on each of 100 live topics is revoked over HTTP: the time until each
              publisher's Close frame. Ten keys (hub). The floor makes as many bare calls instead, from
              one object to others that are awake. A topic counts as awake while its storage is open.
  flood       One raw publisher floods a topic: 5,000 texts a second of 10 bytes, 20 MB a second in texts of
              64 KiB and of 1 MiB. Beside it 100 messages a second go to 10 subscribers of another topic,
              and 50 subscribers a second join that: p99 of both, with the flood and without (hub).
  ingest      One stream publisher with up to 4,000 unacknowledged messages, in frames of 100 and of 20,
              and one subscriber (stream-durable). All acks must come in order, and all messages.
  join        10,000 messages are in the log, then 100 subscribers join at once with since=earliest
              while 200 messages per second go on: the time until the last has all that had been
              published when it was let in. A hole, a repeat or a change of order fails the run
              (the durable ones).
  storm       5,000 subscribers are cut at once while 20 messages per second go on; each comes back
              within 2 seconds, spread at random, with the last cursor it has seen. What was lost, what
              was repeated, how often the database was asked, and the time from the cut until the last
              has all that had been published when it was let in again; first round only (streams,
              nchan).
  ends        Messages on one topic while the 10,000 subscribers of another are closed at its end, are given
              20 messages first, and are woken out of hibernation (hub).

Exit codes: 0 fine; 1 a loss, a dead server or a missed goal; 2 a wrong option.
`;
