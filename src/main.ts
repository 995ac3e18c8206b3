/** The Worker's entry: the edge as default export, the objects and the key desk by name; nothing more. */
import { createApp } from "./edge/app.ts";
import { seeToRefusals } from "./edge/note-refusal.ts";

export { Domain } from "./domain/domain.ts";
export { KeyDesk } from "./edge/key-desk.ts";
export { Topic } from "./topic/topic.ts";

const app = createApp();

const edge: {
  fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response>;
} = {
  async fetch(request, env, ctx) {
    // Handed on untouched: it may be a 101.
    const response = await app.fetch(request, env, ctx);
    seeToRefusals(ctx);
    return response;
  },
};

export default edge;
