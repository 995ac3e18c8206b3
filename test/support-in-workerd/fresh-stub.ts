/** Namespaces, and stubs of objects that may have died: a stub of one that did is broken for ever. */
import { env } from "cloudflare:workers";

/** Whether a binding is a namespace. Asked by name: a service's binding claims to have every method. */
export function isNamespace(binding: unknown): binding is DurableObjectNamespace {
  return (
    binding instanceof Object &&
    /^(?:Loopback)?DurableObjectNamespace$/.test(binding.constructor.name)
  );
}

/** Another stub of the same object. */
export function freshStub<T extends Rpc.DurableObjectBranded | undefined>(
  stub: DurableObjectStub<T>,
): DurableObjectStub<T> {
  for (const namespace of Object.values(env).filter((binding) => isNamespace(binding))) {
    if (isOwner(namespace, stub.id)) return namespace.get(stub.id) as DurableObjectStub<T>;
  }
  throw new Error(`No binding for ${stub.name ?? stub.id.toString()}`);
}

function isOwner(namespace: DurableObjectNamespace, id: DurableObjectId): boolean {
  try {
    namespace.idFromString(id.toString());
    return true;
  } catch {
    // A TypeError, for an id of another namespace.
    return false;
  }
}
