/* global SwaggerUIBundle */

// The validator badge and the fonts of other sites stay away: everything comes from this server.
SwaggerUIBundle({ url: '/openapi.json', dom_id: '#reference', deepLinking: true, validatorUrl: null })
