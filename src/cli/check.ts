import type { CollectOptions } from '../config/schema.ts'

export async function check(_options: CollectOptions): Promise<number> {
  return 0
}
