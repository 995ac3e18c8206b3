/** What `npm run build` leaves for the Worker, for the compiler where nothing was built yet (src/local/build). */
declare module "*/dist/served/client.json" {
  /** Where the module is served that never changes. */
  export const path: string;
  export const code: string;
  /** Of the content, in letters that an ETag and a path can hold; `typesHash` too. */
  export const codeHash: string;
  export const types: string;
  export const typesHash: string;
}
