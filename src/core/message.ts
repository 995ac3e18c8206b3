/** What travels: one message, as its publisher sent it, and its place in the topic's log. */

/** A text or a binary message. */
export type Message = string | ArrayBuffer;
