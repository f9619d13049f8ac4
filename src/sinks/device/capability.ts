import { EXIT_NO_PERMISSION, Failure } from '../../config/terms/failure.ts'

/** A capability is missing: what for, and the three usual ways to give it. `more`: a way without it, if there is one. */
export function missingCapability(what: string, capability: string, docker: string, more = ''): Failure {
  const bare = capability.replace(/^CAP_/, '')
  return new Failure(
    EXIT_NO_PERMISSION,
    `${what} needs ${capability}, and this process does not have it.`,
    `As root: \`setcap ${capability.toLowerCase()}+ep "$(readlink -f "$(command -v node)")"\`; in a systemd unit AmbientCapabilities=${capability}; with Docker --cap-add ${bare}${docker}.${more}`,
  )
}
