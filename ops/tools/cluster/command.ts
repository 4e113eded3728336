import { type Command, type Options, UsageError, wholeNumber } from '../../../core/command-line.mjs'
import { nodesProblem } from '../../../core/config/cluster-nodes.ts'
import { shardsMax } from '../../../core/limits.ts'
import { clusterReplicasMax, clusterWaitSecondsDefault } from '../../limits.ts'

export const clusterCommand = {
  name: 'npm run cluster',
  operands: 'create',
  purpose: `Makes a Redis or Valkey Cluster of empty nodes, with the shards of a sale on masters of their own: shard s is on master s
    modulo their number. The first nodes become masters, the others their replicas. One may have the data of a Redis that was alone
    before: it becomes a master, and keeps them.

    It may be run again at any time, with all nodes of the cluster: then it says that all is well; or introduces nodes that have
    new addresses; or, with more nodes, takes them in. A shard that nobody has used goes to a new master, and one with data
    stays where it is.

    It is REDIS_USER with REDIS_PASSWORD (or REDIS_PASSWORD_FILE) at each node, from the environment or .env: an administrator, or
    hotcakes_setup of ops/deploy/redis/cluster-users.acl. REDIS_TLS and REDIS_TLS_CA count too.`,
  options: {
    nodes: {
      value: 'HOST:PORT,...',
      read: (text) => {
        const problem = nodesProblem(text)
        if (problem !== undefined) throw new UsageError(problem)
        return text
      },
      doc: 'all nodes of the cluster, masters first',
    },
    replicas: {
      value: 'N',
      read: wholeNumber({ max: clusterReplicasMax }),
      default: 0,
      doc: 'of each master',
    },
    shards: {
      value: 'N',
      read: wholeNumber({ min: 1, max: shardsMax }),
      defaultMeans: 'one for each master',
      doc: 'the APP_SHARDS that the servers will have',
    },
    waitSeconds: {
      flag: 'wait-seconds',
      value: 'N',
      read: wholeNumber({ max: 86_400 }),
      default: clusterWaitSecondsDefault,
      doc: 'for nodes that are just starting',
    },
  },
  exits: {
    0: 'the nodes are such a cluster',
    1: 'they are not: it says what is in the way',
    2: 'wrong arguments',
  },
} satisfies Command<Options>
