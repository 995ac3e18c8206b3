/** What Vite makes of a glob: the files' texts, since workerd has no file system. */
interface ImportMeta {
  glob(
    pattern: string | readonly string[],
    options: { readonly query: "?raw"; readonly import: "default"; readonly eager: true },
  ): Readonly<Record<string, string>>;
}
