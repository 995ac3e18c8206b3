/** How long a ticket can be used (PROTOCOL.md, 13.5). */
export const TICKET_SECONDS = 30;
