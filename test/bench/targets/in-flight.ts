/**
 * What may be under way at most, for each kind of target: as much as serves it best, and no more than
 * a slow server can work off in a drain.
 */
import type { InFlight } from "../load/load-command.ts";

/**
 * Frames of one message. 512 messages to 4,000 subscribers would be two million deliveries: half a
 * minute of work for a slow server, and hundreds of megabytes in its buffers.
 */
export const RAW_IN_FLIGHT: InFlight = { messages: 512, deliveries: 131_072 };

/** Many messages in a frame: 2,048 messages are 20 frames of a publisher, and fit a subscriber's backlog. */
export const STREAM_IN_FLIGHT: InFlight = { messages: 2_048, deliveries: 1_048_576 };

/**
 * nchan's best: 2,048 messages were no faster at 100 subscribers, and neither those nor 2,097,152
 * deliveries at 1,000.
 */
export const NCHAN_IN_FLIGHT: InFlight = { messages: 512, deliveries: 131_072 };
