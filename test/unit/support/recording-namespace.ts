/** A namespace that notes which stubs are made of it, and where; the stubs are of the real one. */

/** A stub that was made. */
export interface MadeStub {
  readonly name: string;
  readonly region: string | null;
  readonly jurisdiction: string | null;
}

/** The namespace. What could make stubs past the record is not there. */
export class RecordingNamespace<T extends Rpc.DurableObjectBranded> {
  readonly made: MadeStub[] = [];
  readonly #real: DurableObjectNamespace<T>;

  constructor(real: DurableObjectNamespace<T>) {
    this.#real = real;
  }

  /** Stands for the binding. */
  get namespace(): DurableObjectNamespace<T> {
    return this.#restrictedTo(null);
  }

  #restrictedTo(jurisdiction: string | null): DurableObjectNamespace<T> {
    const namespace = {
      getByName: (name: string, options?: DurableObjectNamespaceGetDurableObjectOptions) => {
        this.made.push({ name, region: options?.locationHint ?? null, jurisdiction });
        return this.#real.getByName(name);
      },
      jurisdiction: (asked: string) => this.#restrictedTo(asked),
    };
    return namespace as unknown as DurableObjectNamespace<T>;
  }
}
