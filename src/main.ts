/** The Worker's entry: the edge as default export, the objects and the key desk by name; nothing more. */
import { createApp } from "./edge/app.ts";

export { Domain } from "./domain/domain.ts";
export { KeyDesk } from "./edge/key-desk.ts";
export { Topic } from "./topic/topic.ts";

const app: ReturnType<typeof createApp> = createApp();

export default app;
