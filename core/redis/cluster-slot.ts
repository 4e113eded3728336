import { shardKeys } from './keys.ts'

/** Slots of every Redis Cluster. */
export const clusterSlots = 16_384

/** The slot in which everything of a shard is: that of its keys' hash tag. */
export function slotOfShard(shard: number): number {
  const [, tag = ''] = /^\{(.*)\}/.exec(shardKeys(shard).prefix) ?? []
  return crc16(tag) % clusterSlots
}

/** CRC-16/XMODEM, as Redis Cluster uses it. It is computed some times at a start, so it needs no table. */
function crc16(text: string): number {
  let crc = 0
  for (const byte of Buffer.from(text)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : ((crc << 1) ^ 0x1021) & 0xffff
  }
  return crc & 0xffff
}
